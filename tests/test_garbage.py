import gc
import subprocess
import sys

import pytest

from ser.garbage import keep_imported


def test_imports_are_left_out_of_later_collections():
    code = (
        "import gc\n"
        "from ser.garbage import keep_imported\n"
        "with keep_imported():\n"
        "    assert not gc.isenabled()\n"
        "    import json\n"
        "assert gc.isenabled() and gc.get_freeze_count() > 0"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_import_that_fails_leaves_the_collection_on():
    with pytest.raises(ImportError), keep_imported():
        raise ImportError
    assert gc.isenabled()


def test_a_collection_that_the_user_has_switched_off_stays_off():
    gc.disable()
    try:
        with keep_imported():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
