import pytest

from ser.wording import counted


@pytest.mark.parametrize(
    ("things", "one"),
    [
        ("clips", "1 clip"),
        ("corpora", "1 corpus"),
        ("known speakers", "1 known speaker"),
        ("copies of recordings", "1 copy of recordings"),
        ("second copies of a recording", "1 second copy of a recording"),
        ("files that are not there", "1 file that is not there"),
        ("files of a kind that is not read", "1 file of a kind that is not read"),
        ("links that lead nowhere", "1 link that leads nowhere"),
        ("pipes, sockets or devices", "1 pipe, socket or device"),
        ("rows that contradict an earlier one", "1 row that contradicts an earlier one"),
        ("rows whose start and end are no times", "1 row whose start and end are no times"),
        ("audio files that the table does not name", "1 audio file that the table does not name"),
        ("recordings of ravdess whose emotion another corpus lacks", "1 recording of ravdess whose emotion another "
         "corpus lacks"),
    ],
)  # fmt: skip
def test_one_thing_is_counted_in_the_singular_and_others_in_the_plural(things, one):
    assert counted(1, things) == one
    assert [counted(number, things) for number in (0, 2)] == [f"0 {things}", f"2 {things}"]
