from deepft_lab.api import OPERATIONS
from deepft_lab.server import typescript


def test_the_front_ends_types_are_those_of_the_table() -> None:
    assert typescript.TARGET.read_text() == typescript.generate(), "Run: python -m deepft_lab.server.typescript"


def test_every_operation_and_every_record_of_an_answer_is_written() -> None:
    written = typescript.generate()
    for name in OPERATIONS:
        assert f"\n  {name}: {{ verb: " in written
    assert "export interface ModelVersion {" in written
    assert "  description?: string;" in written, "what has a default may be left out of a body"
