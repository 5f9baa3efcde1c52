"""The Python, XML and YAML forms of the launch files say what the native ones say. Usage: forms.py --bin OMNIMIND"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import types
import xml.etree.ElementTree as ElementTree

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARE = "$(find-pkg-share omnimind)"
LAUNCH_FILES = ("demo", "robot", "gazebo", "recording")
ONLY_HERE = ("layout", "out")


def words(value):
    """What a launch file means by a text, a substitution or a list of them, in the XML form's notation."""
    return "".join(map(words, value)) if isinstance(value, (list, tuple)) else str(value)


def substitution(template):
    class Substitution:
        def __init__(self, *parts, **named):
            self.parts = [words(part) for part in (*parts, *named.values())]

        def __str__(self):
            return template(self.parts)

    return Substitution


def python_form(path):
    """Runs the file against stand-ins for `launch` and `launch_ros` that keep what they are given."""
    def keeper(kind):
        return lambda *positional, **named: (kind, positional, named)

    modules = {
        "launch": {"LaunchDescription": list},
        "launch.actions": {name: keeper(name) for name in ("DeclareLaunchArgument", "ExecuteProcess", "LogInfo")},
        "launch.conditions": {"IfCondition": words},
        "launch.substitutions": {
            "LaunchConfiguration": substitution(lambda p: f"$(var {p[0]})"),
            "AnonName": substitution(lambda p: f"$(anon {p[0]})"),
            "EqualsSubstitution": substitution(lambda p: f"$(equals {p[0]} {p[1]})"),
            "AndSubstitution": substitution(lambda p: f"$(and {p[0]} {p[1]})"),
            "PathJoinSubstitution": lambda parts: "/".join(map(words, parts)),
        },
        "launch_ros": {},
        "launch_ros.actions": {"Node": keeper("Node")},
        "launch_ros.parameter_descriptions": {"ParameterValue": lambda value, value_type: words(value)},
        "launch_ros.substitutions": {
            "ExecutableInPackage": substitution(lambda p: f"$(exec-in-pkg {p[1]} {p[0]})"),
            "FindPackageShare": substitution(lambda p: f"$(find-pkg-share {p[0]})"),
        },
    }
    for name, contents in modules.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(contents)
    space = {"__name__": path.stem}
    exec(compile(path.read_text(), path, "exec"), space)
    form = {"arguments": [], "logs": [], "processes": [], "nodes": {}}
    for kind, positional, named in space["generate_launch_description"]():
        if kind == "DeclareLaunchArgument":
            form["arguments"].append((positional[0], words(named["default_value"]), named["description"]))
        elif kind == "LogInfo":
            form["logs"].append(words(named["msg"]))
        elif kind == "ExecuteProcess":
            assert named["output"] == "screen" and float(named["sigterm_timeout"]) == 20, named
            form["processes"].append((" ".join(map(words, named["cmd"])), named.get("condition", "")))
        else:
            file, parameters = named["parameters"]
            assert named["package"] == "omnimind" and named["output"] == "screen" and float(named["sigterm_timeout"]) == 20, named
            parameters = {name: value if isinstance(value, list) else words(value) for name, value in parameters.items()}
            node = {"name": named["name"], "namespace": words(named["namespace"]), "if": named["condition"], "file": words(file)}
            form["nodes"][named["executable"]] = node | {"parameters": parameters}
    return form


def entities_form(entities):
    """From (kind, attributes, parameters) as both the XML and the YAML form have them."""
    form = {"arguments": [], "logs": [], "processes": [], "nodes": {}}
    for kind, attributes, parameters in entities:
        if kind == "arg":
            form["arguments"].append((attributes["name"], attributes["default"], attributes["description"]))
        elif kind == "log":
            form["logs"].append(attributes["message"])
        elif kind == "executable":
            assert attributes["output"] == "screen" and float(attributes["sigterm_timeout"]) == 20, attributes
            form["processes"].append((attributes["cmd"], attributes.get("if", "")))
        else:
            assert kind == "node" and attributes["pkg"] == "omnimind" and attributes["output"] == "screen", attributes
            assert float(attributes["sigterm_timeout"]) == 20, attributes
            node = {"name": attributes["name"], "namespace": attributes["namespace"], "if": attributes["if"], "parameters": {}}
            for parameter in parameters:
                if "from" in parameter:
                    node["file"] = parameter["from"]
                    continue
                value, separator = parameter["value"], parameter.get("value-sep")
                # Without its type a text such as "5" would become a number.
                assert isinstance(value, list) or separator or parameter["type"] == "str", parameter
                node["parameters"][parameter["name"]] = value.split(separator) if separator else value
            form["nodes"][attributes["exec"]] = node
    return form


def xml_form(path):
    root = ElementTree.parse(path).getroot()
    return entities_form((element.tag, element.attrib, [child.attrib for child in element]) for element in root)


def yaml_form(path):
    entities = (next(iter(entity.items())) for entity in yaml.safe_load(path.read_text())["launch"])
    return entities_form((kind, attributes, attributes.get("param", [])) for kind, attributes in entities)


def native(binary, name, *arguments):
    command = [binary, "launch", ROOT / "launch" / f"{name}.yaml", "--check", "--json", "--out", "/nowhere/OUT", *arguments]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.replace(str(ROOT), SHARE))


def same_value(text, value):
    """Whether the text of a ROS 2 launch argument is this value of a native one."""
    if isinstance(value, bool):
        return text == str(value).lower()
    return float(text) == value if isinstance(value, (int, float)) else text == value


def compare(binary, name):
    forms = {kind: read(ROOT / "launch" / f"{name}.launch.{kind}") for kind, read in (("py", python_form), ("xml", xml_form), ("yaml", yaml_form))}
    form = forms["py"]
    for kind in ("xml", "yaml"):
        for part in form:
            assert forms[kind][part] == form[part], f"{name}.launch.{kind} differs from the Python form in {part}:\n{forms[kind][part]}\n{form[part]}"
    truth = native(binary, name)
    arguments = [argument for argument in form["arguments"] if argument[0] not in ONLY_HERE]
    assert [a[0] for a in arguments] == [a["name"] for a in truth["arguments"]], f"{name}: other arguments than {name}.yaml"
    for (argument, default, description), true in zip(arguments, truth["arguments"]):
        assert same_value(default, true["default"]), f"{name}: {argument} is {default}, in {name}.yaml {true['default']}"
        assert description == true["description"], f"{name}: {argument}: {description} / {true['description']}"
    out = ["--out", "$(var out)"] if form["nodes"] else []
    given = [f"{argument}:=$(var {argument})" for argument, _, _ in arguments]
    command = ["$(exec-in-pkg omnimind omnimind)", "launch", "--headless", *out, f"{SHARE}/launch/{name}.yaml", *given]
    condition = "$(equals $(var layout) process)" if form["nodes"] else ""
    assert form["processes"] == [(" ".join(command), condition)], f"{name}: {form['processes']}"
    if form["nodes"]:
        compare_nodes(name, form, truth, native(binary, name, "record:=false"))
    return len(form["nodes"])


def compare_nodes(name, form, truth, unrecorded):
    """The layout `processes`: each node of the native file, with the same parameters."""
    values = {argument: default for argument, default, _ in form["arguments"]} | {"out": "/nowhere/OUT"}
    def filled(text):
        return re.sub(r"\$\(var (\w+)\)", lambda match: values[match[1]], text)
    assert set(form["nodes"]) == {node["type"] for node in truth["nodes"]}, f"{name}: {set(form['nodes']) ^ {n['type'] for n in truth['nodes']}}"
    always = {node["type"] for node in unrecorded["nodes"]}
    for true in truth["nodes"]:
        node = form["nodes"][true["type"]]
        assert node["name"] == true["name"] and filled(node["namespace"]) == true["namespace"], node
        assert node["file"] == f"{SHARE}/config/{true['type']}.yaml" and (ROOT / "config" / f"{true['type']}.yaml").is_file(), node
        # The node's file is given too: what is in it need not be said again.
        found = yaml.safe_load((ROOT / "config" / f"{true['type']}.yaml").read_text())[true["type"]]["ros__parameters"]
        found = {key: found[key] for key in true["parameters"] if key in found}
        found |= {key: value if isinstance(value, list) else filled(value) for key, value in node["parameters"].items()}
        assert found == true["parameters"], f"{name}: {true['type']}: {found}, in {name}.yaml {true['parameters']}"
        each = "$(equals $(var layout) processes)"
        assert node["if"] == (each if true["type"] in always else f"$(and {each} $(var record))"), node


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    options = parser.parse_args()
    for name in LAUNCH_FILES:
        nodes = compare(options.bin.resolve(), name)
        print(f"{name}: three forms agree with {name}.yaml" + (f", {nodes} nodes each" if nodes else ""))


if __name__ == "__main__":
    main()
