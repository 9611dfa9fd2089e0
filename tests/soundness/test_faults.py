"""The list of deliberate faults fits the code; that each is caught is for `make soundness`."""

from tests.soundness.faults import ROOT, load_faults


def test_every_fault_changes_one_line_that_is_there_and_its_tests_exist():
    for name, fault in load_faults().items():
        text = (ROOT / "flow" / "certify" / fault.file).read_text()
        assert text.count(fault.old) >= 1, name
        assert fault.new != fault.old, name
        assert all((ROOT / path).exists() for path in fault.tests), name
