"""What a model's server says it serves: ``GET /v1/models``.

SGLang and vLLM add ``max_model_len``, the tokens of question and answer together; others do not say. Names are
the server's text: bounded here, and quoted by whoever shows them.
"""

import msgspec

from opsagent.clients.rest import RestReader
from opsagent.ports import Forbidden, ServedModel, Terminal, Transient

PATH = "/models"
MODELS_MAX = 1000
NAME_CHARACTERS_MAX = 200
_OK = 200
_RETRIED = frozenset({408, 425, 429})
_SERVER_ERROR = range(500, 600)
_REFUSED = frozenset({401, 403})


class _Card(msgspec.Struct):
    id: str
    max_model_len: int | None = None


class _Cards(msgspec.Struct):
    data: list[_Card]


_cards = msgspec.json.Decoder(_Cards)


class ModelServerClient:
    """``ports.ModelServer`` over HTTP. ``url`` is the base that ends in ``/v1``; an empty ``key`` sends none.

    Raises:
        Terminal: the url names no host.
    """

    def __init__(self, url: str, key: str = "") -> None:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._rest = RestReader("model", url, headers=headers)

    async def served(self) -> tuple[ServedModel, ...]:
        """Return what it serves, at most ``MODELS_MAX``.

        Raises:
            Transient: no answer, 408, 429 or 5xx.
            Forbidden: it refuses the key.
            Terminal: it does not know the question, or its answer is no list of models.
        """
        status, body = await self._rest.get(PATH)
        if status in _REFUSED:
            raise Forbidden(f"the model's server refuses the API key ({status})")
        if status in _RETRIED or status in _SERVER_ERROR:
            raise Transient(f"the model's server answered {status}")
        if status != _OK:
            raise Terminal(f"the model's server does not list what it serves ({status})")
        try:
            cards = _cards.decode(body).data[:MODELS_MAX]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise Terminal("the model's server answered with no list of models") from None
        return tuple(
            ServedModel(card.id[:NAME_CHARACTERS_MAX], card.max_model_len) for card in cards
        )

    async def aclose(self) -> None:
        """Close connections."""
        await self._rest.aclose()
