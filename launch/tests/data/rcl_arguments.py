"""What rcl itself makes of ROS arguments: writes rcl_arguments.jsonl, which the test `ros_arguments` compares with.

By hand, in a Python 3.11 environment with `pip install 'ros-rclpy[fastrtps]==9.1.2'` (ROS 2 Kilted's rcl):
    ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST python rcl_arguments.py >rcl_arguments.jsonl
Each line: the arguments, and either what a node `eye` that uses topic and service names gets, or that rcl refuses.
"""

import json
import os
import shlex
import sys
import tempfile

import rclpy

FILES = {
    "wild.yaml": "/**:\n  ros__parameters:\n    x: 1\n    outer: {inner: deep}\n    flag: true\n",
    "named.yaml": "eye:\n  ros__parameters: {x: 2, list: [1, 2, 3]}\n",
    "spaced.yaml": "/omni:\n  eye:\n    ros__parameters: {x: 3, text: '4'}\n/omni/other:\n  ros__parameters: {x: 5}\n",
    "star.yaml": "/*/eye:\n  ros__parameters: {x: 6}\n",
    "broken.yaml": "eye:\n  ros__parameters: [\n",
    "shapeless.yaml": "eye:\n  x: 5\n",
    "scalars.yaml": "eye:\n  ros__parameters: {a: 010, b: 08, c: -0x10, d: +5, e: 1e3, f: inf, g: -Infinity, h: nan, i: ~, j: null, k: 1e999, l: -+5, m: .INF, n: YES, o: 'on', p: 99999999999999999999, q: 5., r: -.5, s: [yes, off], t: .iNf, u: 1_000}\n",
    "nothing.yaml": "eye:\n  ros__parameters: {x: }\n",
}
CASES = """
-r __node:=ear
-r __name:=ear
-r __ns:=/omni
-r __ns:=/
-r __ns:=/omni/deep
-r __ns:=omni
-r __ns:=/omni/
-r __node:=ear -r __ns:=/omni
-r __node:=ear -r __node:=nose
-r __node:=a/b
-r __node:=1a
-r __node:=
-r eye:__node:=ear
-r ear:__node:=nose
-r eye:__ns:=/omni
-r __node:=ear -r ear:__ns:=/omni
-r __node:=ear -r eye:__ns:=/omni
-r image:=picture
-r image:=/picture
-r /image:=picture
-r image:=a -r image:=b
-r image:=~/picture
-r ~/private:=public
-r image:={node}/picture
-r image:={ns}/picture
-r eye:image:=picture
-r ear:image:=picture
-r __node:=ear -r ear:image:=picture
-r __node:=ear -r eye:image:=picture
-r __ns:=/omni -r image:=picture
-r __ns:=/omni -r /image:=/picture
-r __ns:=/omni -r /omni/image:=/picture
-r __ns:=/omni -r /omni/image:=picture
-r rostopic://image:=picture
-r rosservice://image:=picture
-r rostopic:///image:=/picture
-r ask:=question
-r rosservice://ask:=question
-r rostopic://ask:=question
-r eye:rosservice://ask:=question
-r rostopic://eye:image:=picture
-r image:=rostopic://picture
-r image=picture
-r image:=
-r :=picture
-r :image:=picture
-r 1mage:=picture
-r im-age:=picture
-r image:=pic ture
-r image:=pic//ture
-r image:=picture/
-r *:=picture
-r **/image:=picture
-r image:=\\1
-r
--remap image:=picture
-p x:=5
-p x:=5.0
-p x:=true
-p x:=yes
-p x:=five
-p 'x:="5"'
-p x:='5'
-p 'x:=[1, 2]'
-p 'x:=[1, 2.5]'
-p 'x:=[a, b]'
-p 'x:=[true, false]'
-p 'x:=[1, a]'
-p 'x:={a: 1}'
-p x:=
-p x
-p :=5
-p outer.inner:=1
-p outer/inner:=1
-p eye:x:=5
-p ear:x:=5
-p /omni/eye:x:=5
-p x:=1 -p x:=2
-p x:=1e3
-p x:=.5
-p x:=0x10
-p x:=-3
-p x:=nan
-p x:=.inf
-p 'x:=a b'
-p x:=a:=b
-p x:=null
-p x:=~
-p x:=010 -p y:=08 -p z:=-0x10 -p w:=+5
-p x:=1e999 -p y:=-+5 -p z:=99999999999999999999 -p w:=.iNf
-p x:=-Infinity -p y:=-.INF -p z:=5. -p w:=1_000
-p 'x:=[yes, off]'
-p 'x:=[010, 8]'
-p 'x:=!!str 5'
--params-file scalars.yaml
--params-file nothing.yaml
--param x:=5
--params-file wild.yaml
--params-file named.yaml
--params-file spaced.yaml -r __ns:=/omni
--params-file star.yaml -r __ns:=/omni
--params-file star.yaml
--params-file wild.yaml -p x:=9
-p x:=9 --params-file wild.yaml
--params-file named.yaml --params-file wild.yaml
--params-file wild.yaml --params-file named.yaml
--params-file named.yaml -p x:=9
-p eye:x:=8 --params-file wild.yaml
--params-file gone.yaml
--params-file broken.yaml
--params-file shapeless.yaml
--params-file
--log-level debug
--log-level DEBUG
--log-level eye:=warn
--log-level rcl:=debug --log-level info
--log-level loud
--log-level eye:=loud
--log-level eye:warn
--log-level
--log-level :=warn
--log-config-file here.yaml
--log-config-file
--log-file-name run
--log-file-name
--log-file-name ''
-e /kitchen/robot
--enclave kitchen
-e
-e /a -e /b
--enable-rosout-logs
--disable-rosout-logs
--enable-stdout-logs
--disable-stdout-logs
--enable-external-lib-logs
--disable-external-lib-logs
--nonsense
word
image:=picture
-- word
-p x:=1 -- -p x:=2
--
-p x:=1 -- --ros-args -p x:=3
""".strip().splitlines()


def value(parameter):
    return {"type": parameter.type_.name, "value": list(v) if hasattr(v := parameter.value, "__len__") and not isinstance(v, str) else repr(v) if isinstance(v, float) else v}


def look(arguments):
    context = rclpy.Context()
    try:
        rclpy.init(args=["eye", "--ros-args", *arguments], context=context)
        try:
            node = rclpy.create_node("eye", context=context, start_parameter_services=False, enable_rosout=False)
            overrides = {n: value(p) for n, p in sorted(node._parameter_overrides.items())}
            found = {
                "node": node.get_fully_qualified_name(),
                "topics": {n: node.resolve_topic_name(n) for n in ("image", "/image", "~/private")},
                "services": {n: node.resolve_service_name(n) for n in ("ask", "image")},
                "parameters": overrides,
            }
            node.destroy_node()
            return found
        finally:
            rclpy.shutdown(context=context)
    except Exception as error:
        return {"refused": str(error).split(", at /project")[0]}


def main():
    folder = tempfile.mkdtemp()
    for name, text in FILES.items():
        with open(os.path.join(folder, name), "w") as stream:
            stream.write(text)
    os.chdir(folder)
    json.dump({"files": FILES}, sys.stdout)
    for case in CASES:
        arguments = shlex.split(case, posix=True) if "\\" not in case else case.split()
        # logging is the process's: each case in one of its own
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            out = {"arguments": arguments, **look(arguments)}
            os.write(writer, ("\n" + json.dumps(out)).encode())
            os._exit(0)
        os.close(writer)
        os.waitpid(child, 0)
        with os.fdopen(reader) as stream:
            sys.stdout.write(stream.read() or "\n" + json.dumps({"arguments": arguments, "crashed": True}))
        sys.stdout.flush()
    sys.stdout.write("\n")


main()
