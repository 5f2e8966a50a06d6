"""Small shards of toy clips, and what a cache holds."""

from ser.corpora import ravdess
from ser.data import arrow_cache, decoding, shards


def build(root, data_dir):
    """The clips of a RAVDESS-shaped corpus, in their order, and how many were decoded."""
    return decoding.build(root, ravdess.scan(root).recordings, data_dir)


def contents(data_dir):
    """Path -> facts and samples, of the cache in use."""
    cache = arrow_cache.open_cache(data_dir)
    rows = cache.facts.to_pylist()
    assert len({row["path"] for row in rows}) == len(rows)
    return {row["path"]: (row, cache.samples(index).tobytes()) for index, row in enumerate(rows)}


def in_use(data_dir):
    return {path.name: rows for path, rows in shards.read_index(data_dir).items()}


def write_old_file(data_dir):
    """Put the one file of earlier releases in the place of the shards."""
    from datasets import Dataset, concatenate_datasets
    from datasets.arrow_writer import ArrowWriter

    paths = list(shards.read_index(data_dir))
    rows = concatenate_datasets([Dataset.from_file(str(path)) for path in paths])
    writer = ArrowWriter(path=str(data_dir / shards.OLD_FILE), features=rows.features, writer_batch_size=5)
    for row in rows:
        writer.write(row)
    writer.finalize()
    writer.close()
    for path in [*paths, paths[0].with_name(shards.INDEX)]:
        path.unlink()
    paths[0].parent.rmdir()


def count_decodes(monkeypatch, before=lambda number: None):
    """The paths that are decoded from now on; `before` is called with the number of each."""
    decoded, load = [], decoding.audio.load

    def counted(path, span):
        before(len(decoded))
        clip = load(path, span)
        decoded.append(path.name)
        return clip

    monkeypatch.setattr(decoding.audio, "load", counted)
    return decoded
