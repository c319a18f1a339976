"""The Kubernetes contract can fail: each of many clusters, wrong in one way, is caught by a check of it."""

from collections.abc import Callable

import pytest

from tests.contracts.kubernetes import (
    crooked,
    test_apply,
    test_eviction,
    test_history,
    test_lists_and_watches,
    test_objects,
    test_rollouts,
    test_scale,
)
from tests.contracts.kubernetes.crooked import Crooked
from tests.contracts.kubernetes.environment import run_in_sim

CAUGHT = pytest.RaisesExc((AssertionError, pytest.fail.Exception))
# Each difference, and the check that is there to catch it.
DIFFERENCES: tuple[tuple[type[Crooked], Callable[..., None]], ...] = (
    (
        crooked.AnyVersionWins,
        test_objects.test_a_lease_is_updated_by_whoever_read_it_last,
    ),
    (crooked.DryRunWrites, test_objects.test_a_dry_run_answers_and_stores_nothing),
    (crooked.DryRunSaysYes, test_objects.test_a_dry_run_refuses_what_the_write_would_refuse),
    (
        crooked.BudgetIgnored,
        test_eviction.test_an_eviction_that_the_budget_does_not_allow_is_refused,
    ),
    (crooked.BudgetMiscounted, test_eviction.test_a_budget_is_counted_by_its_controller),
    (crooked.NoBookmarks, test_lists_and_watches.test_a_quiet_watch_sends_a_bookmark),
    (crooked.DeletionsLost, test_lists_and_watches.test_a_watch_goes_on_where_the_list_ended),
    (crooked.WatchFromNow, test_lists_and_watches.test_a_watch_from_before_the_history_is_gone),
    (
        crooked.WatchUnfiltered,
        test_lists_and_watches.test_a_narrowed_watch_sees_objects_come_and_go,
    ),
    (
        crooked.PagesUnlimited,
        test_lists_and_watches.test_a_list_comes_in_pages_that_show_one_moment,
    ),
    (
        crooked.AppliesNeverConflict,
        test_apply.test_wanting_otherwise_what_another_applied_is_a_conflict,
    ),
    (
        crooked.AppliesAreMerges,
        test_apply.test_what_its_sole_owner_applies_no_more_is_removed,
    ),
    (
        crooked.OneGeneration,
        test_objects.test_a_deployments_generation_rises_with_spec_and_annotations,
    ),
    (crooked.WrongReason, test_objects.test_a_name_is_given_once),
    (crooked.ScaleUnconditional, test_scale.test_a_scale_is_replaced_by_whoever_read_it_last),
    (crooked.HistoryUnlimited, test_history.test_old_revisions_are_kept_up_to_the_limit),
    (
        crooked.RevisionsForgotten,
        test_history.test_a_template_that_comes_back_is_the_newest_and_remembers_its_revisions,
    ),
    (
        crooked.RestartsUncounted,
        test_rollouts.test_a_crash_loop_shows_its_exit_code_and_counts_restarts,
    ),
)


@pytest.mark.parametrize(
    ("difference", "test"), DIFFERENCES, ids=[one.__name__ for one, _ in DIFFERENCES]
)
def test_a_difference_from_kubernetes_is_caught(
    difference: type[Crooked], test: Callable[..., None]
) -> None:
    """The check holds behind a transport that changes nothing, and fails on what it asserts behind this one."""
    run_in_sim(test.check, Crooked)
    with pytest.RaisesGroup(CAUGHT, flatten_subgroups=True):
        run_in_sim(test.check, difference)
