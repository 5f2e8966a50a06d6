"""The splits on which protocols were published, to check the claim of a published protocol."""

from collections.abc import Sequence

from ser.data.protocols import Splits, split_sha256

RAVDESS = "f22186858e31b56ee4c238aad7401892395ecd08ccd80e678b1a801f3002f9a0"
"""Identity of all 1440 speech recordings, by `split_sha256`."""
TEST_LISTS = {
    "paper": {"35a79d3c61b89f0611104df76640e7bc371a69a278c68255f70f2396d6a74f3d"},
    "luna_jimenez": {
        "2c08652bda0f4ad403adbb9c7d521592a9b2f64ebfbd417f5b6e78b9fc027ef9",
        "8e9e81a9f3d432b87282f4f7812a6c30e13dc58ff4dba928241f7aacad9044e8",
        "2fa60b7ee061e17c645d4678848700aae7792ca106f480065f513ed16caf7b69",
        "a0dfcd76661e1d93fe13a5c208dc52a228203def8d878a8d5fa917ec624c8744",
        "6195ea052d2ca3fa12a0f2d692fd06c9ef2a85e1363723717528c909df7e6dd1",
    },
}
"""By protocol; both publications selected their checkpoints on these splits."""


def is_published_split(name: str, folds: Sequence[Splits]) -> bool:
    """Return whether these are the splits of a protocol's publication: the whole corpus and its test splits."""
    return all(
        split_sha256(splits.test) in TEST_LISTS.get(name, ()) and split_sha256(splits.train + splits.test) == RAVDESS
        for splits in folds
    )
