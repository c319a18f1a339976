"""What callers send: bodies up to a bound of bytes and seconds, decisions and numbers taken out without repeating them."""

import asyncio
from typing import Annotated, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from opsagent.model.plan import ApprovalRequest, ApprovalVerdict

BODY_BYTES_MAX = 64 * 1024
BODY_TIMEOUT_SECONDS = 10
FORM_TYPE = "application/x-www-form-urlencoded"


class Click(BaseModel):
    """A decision as REST takes it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    verdict: ApprovalVerdict
    plan_hash: Annotated[str, Field(min_length=1, max_length=128)]
    token: Annotated[SecretStr, Field(min_length=1, max_length=16_384)]
    reason: Annotated[str, Field(max_length=4096)] = ""  # Source: the bound that Teleport sets

    def of(self, plan_id: str) -> ApprovalRequest:
        """Return the decision about ``plan_id``; white space around a pasted token is no part of it."""
        return ApprovalRequest(
            plan_id=plan_id,
            plan_hash=self.plan_hash,
            verdict=self.verdict,
            token=self.token.get_secret_value().strip(),
            reason=self.reason,
        )


class Form(Click):
    """A decision as our own form sends it."""

    form_token: Annotated[SecretStr, Field(max_length=128)]


T = TypeVar("T", bound=Click)


def number(text: str, highest: int) -> int | None:
    """Return the whole number that ``text`` writes in plain digits, None if it is none or above ``highest``."""
    is_plain = text.isascii() and text.isdigit() and len(text) <= len(str(highest))
    return int(text) if is_plain and int(text) <= highest else None


async def read_body(request: Request, bytes_max: int = BODY_BYTES_MAX) -> bytes:
    """Return the whole body.

    Raises:
        HTTPException: it is too long (413) or too slow (408).
    """
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > bytes_max:
                    raise HTTPException(413, f"Send at most {bytes_max} bytes.")
    except TimeoutError as error:
        raise HTTPException(408, f"Send the whole body within {BODY_TIMEOUT_SECONDS} s.") from error
    return bytes(body)


def click_of(body: bytes) -> Click:
    """Return the decision in a JSON body, HTTPException 400 if there is none."""
    try:
        return Click.model_validate_json(body)
    except ValidationError as error:
        raise _refused(error, Click) from None


def form_of(content_type: str, body: bytes) -> Form:
    """Return the decision in a form, HTTPException 400 or 415 if there is none."""
    if content_type.partition(";")[0].strip().lower() != FORM_TYPE:
        raise HTTPException(415, f"Send the form as {FORM_TYPE}.")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=len(Form.model_fields),
        )
    except ValueError:
        raise HTTPException(400, "The form cannot be read.") from None
    if len(dict(pairs)) < len(pairs):
        raise HTTPException(400, "The form has a field twice.")
    try:
        return Form.model_validate(dict(pairs))
    except ValidationError as error:
        raise _refused(error, Form) from None


def _refused(error: ValidationError, form: type[Click]) -> HTTPException:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    # A key that we do not know is not named: it was typed by a caller who holds a token.
    known = [str(part) for part in first["loc"] if part in form.model_fields]
    return HTTPException(400, ": ".join([*known, first["msg"]]))
