#!/bin/sh
# A ROS 2 without a ROS installation: the PyPI wheels of rclpy are a complete prefix (libraries, headers, interfaces).
#
#   eval "$(bridge/setup_ros.sh [--distro jazzy|kilted] FOLDER)"
#
# makes FOLDER a Python 3.11 environment with them, if it is not one yet, and prints what a build with the feature `dds` needs.
# FOLDER/bin/with-ros then runs a program that was built so: FOLDER/bin/with-ros omnimind bridge dds
set -eu
distro=jazzy
if [ "${1:-}" = --distro ]; then distro=$2; shift 2; fi
[ $# -eq 1 ] || { echo "usage: $0 [--distro jazzy|kilted] FOLDER" >&2; exit 2; }
case $distro in
jazzy) packages="ros-rclpy[fastrtps]==7.1.6 ros-common-interfaces==5.3.6 ros-test-msgs==2.0.3" ;;
kilted) packages="ros-rclpy[fastrtps]==9.1.2 ros-common-interfaces==5.5.1 ros-test-msgs==2.3.0" ;;
*) echo "$0: $distro is neither jazzy nor kilted" >&2; exit 2 ;;
esac

[ -x "$1/bin/python" ] || "${PYTHON:-python3.11}" -m venv "$1" >&2
venv=$(cd "$1" && pwd)
# shellcheck disable=SC2086
[ -e "$venv/lib/librcl.so" ] || "$venv/bin/python" -m pip install --quiet --disable-pip-version-check $packages >&2
# The library that chooses a middleware at run time is in no wheel; there is one middleware, so it stands in for it.
[ -e "$venv/lib/librmw_implementation.so" ] || ln -s librmw_fastrtps_cpp.so "$venv/lib/librmw_implementation.so"

# The wheels' libraries refer to Python's without saying so: it is loaded first.
python=$("$venv/bin/python" -c 'import os, sysconfig as s; print(os.path.join(s.get_config_var("LIBDIR"), s.get_config_var("INSTSONAME")))')
[ -e "$python" ] || { echo "$0: $python is missing: install the package libpython3.11" >&2; exit 1; }
path=$venv/lib
for folder in "$venv"/lib/python3.11/site-packages/ros_*.libs; do path=$path:$folder; done
cat >"$venv/bin/with-ros" <<END
#!/bin/sh
# Runs a program that is linked with this ROS 2. Written by OmniMind's bridge/setup_ros.sh.
export AMENT_PREFIX_PATH='$venv' LD_LIBRARY_PATH='$path' LD_PRELOAD='$python'
exec "\$@"
END
chmod +x "$venv/bin/with-ros"
# The name only chooses among variants of the bindings, which has no word for Kilted; they are made from the headers in the prefix.
echo "export ROS_DISTRO=jazzy AMENT_PREFIX_PATH='$venv'"
