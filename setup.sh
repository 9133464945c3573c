#!/usr/bin/env bash
# Set up everything in .venv, then run the demo, the tests, or nothing more:
#   bash setup.sh demo | test | install   [options of napari-unet demo, or of pytest]
set -euo pipefail
cd "$(dirname "$0")"
what=${1:?say what to run: demo, test or install}
shift

python=
for candidate in python3 python3.11 python3.12 python3.13 python3.14; do
  if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
[ -n "$python" ] || { echo "Python 3.11 or newer is needed."; exit 1; }

# What Qt and its virtual screen need of a bare Debian; the demo draws no window unless it is asked to (--show).
packages=()
if command -v dpkg >/dev/null; then
  wanted=()
  "$python" -c 'import ensurepip' 2>/dev/null || wanted+=("python3-venv")
  if [ "$what" != demo ] || [[ " $* " == *" --show "* ]]; then
    wanted+=(xvfb libegl1 libgl1 libgl1-mesa-dri libxkbcommon-x11-0 libdbus-1-3 libxcb-cursor0 libxcb-icccm4
      libxcb-keysyms1 libxcb-shape0 libxcb-xinerama0 libxcb-image0 libxcb-render-util0)
  fi
  for package in "${wanted[@]}"; do
    dpkg -s "$package" >/dev/null 2>&1 || packages+=("$package")
  done
fi
if [ ${#packages[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ]; then
    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q "${packages[@]}"
  else
    echo "Some system libraries are missing. Install them, then run this again:"
    echo "  sudo apt-get install -y ${packages[*]}"
    exit 1
  fi
fi

[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[all,test]"

case $what in
  demo) .venv/bin/napari-unet demo "$@" ;;
  test) .venv/bin/python -m pytest -n 2 --dist loadgroup "$@" ;;
  install) echo "Ready: .venv/bin/napari, .venv/bin/napari-unet" ;;
  *) echo "Say what to run: demo, test or install."; exit 2 ;;
esac
