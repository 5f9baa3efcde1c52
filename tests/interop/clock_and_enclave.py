"""The clock that a bag's player tells and another process follows, and the enclave of a process. CDR by rosbags."""
import struct
import tempfile

from peer import LIMIT, STORE, T, Wire, decode, example, start
from rosbags.rosbag2 import StoragePlugin, Writer

BEGIN = 1_700_000_000 * 10**9
HZ, RATE = 50, 2.0


def bag(path):
    """Ten seconds of a topic, long ago."""
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/chatter", "std_msgs/msg/String", typestore=STORE)
        text = bytes(STORE.serialize_cdr(T["std_msgs/msg/String"]("x"), "std_msgs/msg/String"))
        for number in range(200):
            writer.write(connection, BEGIN + number * 50_000_000, text)


def nanoseconds(time):
    return time.sec * 10**9 + time.nanosec


def checks(endpoint, binary, environment):
    wire = Wire(endpoint)

    def enclave():
        """the enclave that a process is started with is in the tokens of its nodes and ends; without one there is none"""
        process = start([binary, "run", "battery", "--ros-args", "-r", "__ns:=/guarded", "-e", "/kitchen/robot"], environment)
        try:
            token = wire.end("MP", "/guarded/battery_state")
            mine = [t for t in wire.tokens() if t[2] == token[2]]
            assert {t[5] for t in mine} >= {"NN", "MP", "MS", "SS"} and len(mine) > 10
            assert {t[6] for t in mine} == {"%kitchen%robot"}, mine
            assert wire.end("MP", "/battery_state")[6] == "%"
        finally:
            process.end()

    def clock():
        """`bag play --clock` tells times that grow as fast as the rate says, and a node with use_sim_time in another process follows them"""
        nodes = start([example(binary)], environment)
        with tempfile.TemporaryDirectory() as folder:
            bag(f"{folder}/bag")
            watched = wire.listen("/watch")
            # Before the player is there: no token yet says where the clock is told.
            words = [binary, "bag", "play", f"{folder}/bag", "--clock", HZ, "--rate", RATE, "--delay", 1]
            player = start(words, environment)
            try:
                told = wire.listen("/clock")
                samples, follow = [], [0]
                # Until four seconds of the recording are over, for the player and for the follower.
                while not samples or nanoseconds(decode(samples[-1].payload, "rosgraph_msgs/msg/Clock").clock) < BEGIN + 4 * 10**9:
                    samples.append(told.get(timeout=LIMIT))
                while follow[-1] < BEGIN + 4 * 10**9:
                    follow.append(nanoseconds(decode(watched.get(timeout=LIMIT).payload, "builtin_interfaces/msg/Time")))
                while not told.empty():
                    samples.append(told.get())
            finally:
                player.end()
                nodes.end()
        times = [nanoseconds(decode(s.payload, "rosgraph_msgs/msg/Clock").clock) for s in samples]
        assert times == sorted(times) and BEGIN <= times[0] and times[-1] <= BEGIN + 10 * 10**9, (times[0], times[-1])
        assert len(set(times)) > 50, "it moves"
        # By the player's own clock, which each sample carries.
        sent = [struct.unpack_from("<qq", bytes(s.attachment))[1] for s in samples]
        moving = [(t, at) for t, at in zip(times, sent) if t > times[0]]
        (t0, at0), (t1, at1) = moving[0], moving[-1]
        ratio = (t1 - t0) / (at1 - at0)
        assert abs(ratio - RATE) < 0.1, ratio
        begun = [t for t in follow if t >= BEGIN]
        assert begun == sorted(begun) and len(begun) > 20, follow
        assert all(times[0] <= t <= times[-1] for t in begun), begun

    def close():
        """the session closes"""
        wire.close()

    return [enclave, clock, close]
