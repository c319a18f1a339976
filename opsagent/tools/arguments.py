"""Arguments of tools: parsed once, strictly; what breaks the schema becomes words for the model.

All fields of all tools are required and flat, so that servers that hold a model to the schema by grammar
can do so. Source: OpenAI, structured outputs, supported schemas.
"""

import json
from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from opsagent.model.canonical import JsonValue
from opsagent.model.entity import Entity, Kind
from opsagent.model.transcript import ToolResult, ToolSpec
from opsagent.signals.quotation import clipped, quoted_lines

RESULT_BYTES_MAX = 8 * 1024
FAULTS_MAX = 5
_FAULT_CHARACTERS_MAX = 200

# Source: Kubernetes, "Object Names and IDs": RFC 1123 subdomain and label.
Name: TypeAlias = Annotated[
    str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", description="its name")
]
Namespace: TypeAlias = Annotated[
    str, Field(pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$", description="empty for a Node")
]


class Arguments(BaseModel):
    """The arguments of one tool; its docstring is what the model is told of the tool."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Reference(Arguments):
    """One object of the cluster, by name."""

    kind: Literal["Deployment", "ReplicaSet", "Pod", "Node"]
    namespace: Namespace
    name: Name

    @property
    def entity(self) -> Entity:
        """The name of the object."""
        return Entity(Kind(self.kind), self.namespace, self.name)


Form = TypeVar("Form", bound=Arguments)


def spec(name: str, form: type[Arguments]) -> ToolSpec:
    """Return what a model is told: name, docstring as one line, schema."""
    schema = form.model_json_schema()
    description = " ".join(str(schema.pop("description")).split())
    return ToolSpec(name, description, json.dumps(_untitled(schema), sort_keys=True))


def parsed(form: type[Form], arguments: str) -> Form | ToolResult:
    """Return the arguments, or what is wrong with them."""
    try:
        return form.model_validate_json(arguments)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        lines = [
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"[
                :_FAULT_CHARACTERS_MAX
            ]
            for fault in faults[:FAULTS_MAX]
        ]
        text = f"The arguments do not fit the schema, nothing was run:\n{quoted_lines(lines)}"
        return ToolResult(text, is_error=True)


def shown(text: str) -> ToolResult:
    """Return a result of bounded size."""
    return ToolResult(clipped(text, RESULT_BYTES_MAX))


def unknown(entity: Entity) -> ToolResult:
    """Return that there is no such object."""
    return ToolResult(f"There is no {entity} in the inventory.", is_error=True)


def _untitled(schema: JsonValue) -> JsonValue:
    """Return the schema without titles, which only repeat the names of the fields."""
    if isinstance(schema, dict):
        return {key: _untitled(value) for key, value in schema.items() if key != "title"}
    return schema
