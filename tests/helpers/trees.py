"""Trees of files for scans, which read names and not what is in the files."""


def plant(root, *names, content=b"x"):
    """Put files below a folder."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root
