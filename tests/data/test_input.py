import json

import pytest

from bnn_toolchain.errors import UsageError
from bnn_toolchain.input_spec import InputSpec

SPEC = InputSpec(8, 6, 3, (1 / 128,) * 3, (128.0,) * 3, ("cat", "dog"))


def test_a_specification_survives_json():
    assert InputSpec.from_json(json.loads(json.dumps(SPEC.to_json()))) == SPEC


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("height", float("inf")),
        ("height", "tall"),
        ("width", 0),
        ("channels", 1),
        ("scale", [1, 1, float("nan")]),
        ("scale", [1, 1, 0]),
        ("offset", None),
        ("offset", [1, 2, 10**400]),
        ("classes", 3),
    ],
)
def test_anything_else_is_refused(field, value):
    with pytest.raises(UsageError, match="input"):
        InputSpec.from_json(SPEC.to_json() | {field: value})
    without = {key: kept for key, kept in SPEC.to_json().items() if key != field}
    with pytest.raises(UsageError, match=f"not an input specification: KeyError.*{field}"):
        InputSpec.from_json(without)


def test_a_document_that_is_no_object():
    with pytest.raises(UsageError, match="not an input specification"):
        InputSpec.from_json([1, 2])
