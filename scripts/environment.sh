# Make .venv in the checkout and install the package into it, once; sourced by quickstart.sh and test.sh.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON=${PYTHON:-python3}
if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    echo "ser needs Python 3.10 or later; PYTHON=/path/to/python bash $0" >&2
    exit 1
fi
[ -x .venv/bin/python ] || "$PYTHON" -m venv .venv
# Installs again only when the dependencies may have changed.
if [ ! -f ".venv/installed$EXTRAS" ] || [ pyproject.toml -nt ".venv/installed$EXTRAS" ]; then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".$EXTRAS"
    touch ".venv/installed$EXTRAS"
fi
export PATH="$PWD/.venv/bin:$PATH"
