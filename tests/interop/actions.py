"""Actions over the wire: a client of others and a server of ours, a server of others and a client of ours. CDR by rosbags."""
import os
import queue
import struct

import numpy
import zenoh

from peer import LIMIT, T, Refused, Wire, attachment, decode, encode, example, start, wait_for
from raw_zenoh import HASHES

ACCEPTED, EXECUTING, SUCCEEDED, CANCELED = 1, 2, 4, 5
KIND = "example_interfaces/Fibonacci"
ACTION = "example_interfaces::action::dds_::Fibonacci"
SERVED = "/fibonacci/_action"
ELSEWHERE = "/elsewhere/_action"
PARTS = {  # token kind, type, its name below `_action`
    "send_goal": ("SS", f"{ACTION}_SendGoal_"),
    "get_result": ("SS", f"{ACTION}_GetResult_"),
    "cancel_goal": ("SS", "action_msgs::srv::dds_::CancelGoal_"),
    "feedback": ("MP", f"{ACTION}_FeedbackMessage_"),
    "status": ("MP", "action_msgs::msg::dds_::GoalStatusArray_"),
}


def uuid(data=None):
    return T["unique_identifier_msgs/msg/UUID"](uuid=numpy.frombuffer(data or os.urandom(16), dtype=numpy.uint8))


def info(goal):
    return T["action_msgs/msg/GoalInfo"](goal_id=goal, stamp=T["builtin_interfaces/msg/Time"](sec=0, nanosec=0))


def fibonacci(order):
    found = [0, 1]
    while len(found) <= order:
        found.append(found[-2] + found[-1])
    return found[: order + 1]


def checks(endpoint, binary, environment):
    process = start([example(binary)], environment)
    wire = Wire(endpoint)
    status = wire.listen(f"{SERVED}/status")
    feedback = wire.listen(f"{SERVED}/feedback")
    seen = []

    def send(order, goal=None):
        goal = goal or uuid()
        return goal, wire.call(f"{SERVED}/send_goal", f"{KIND}_SendGoal", goal, order)

    def result(goal):
        answer = wire.call(f"{SERVED}/get_result", f"{KIND}_GetResult", goal)
        return answer.status, list(answer.sequence)

    def cancel(goal):
        answer = wire.call(f"{SERVED}/cancel_goal", "action_msgs/CancelGoal", info(goal))
        return answer.return_code, [bytes(g.goal_id.uuid) for g in answer.goals_canceling]

    def reported(goal, last):
        """What has been reported of a goal, each status once, until `last`."""
        mine = lambda: [s for report in seen for g, s in report if g == bytes(goal.uuid)]
        while last not in mine():
            report = decode(status.get(timeout=LIMIT).payload, "action_msgs/msg/GoalStatusArray")
            seen.append([(bytes(s.goal_info.goal_id.uuid), s.status) for s in report.status_list])
        return list(dict.fromkeys(mine()))

    def announced():
        """an action is announced as three services and two topics with the types and QoS of ROS 2"""
        for part, (kind, ros_type) in PARTS.items():
            token = wire.end(kind, f"{SERVED}/{part}")
            assert token[8] == "fibonacci_server" and token[10] == ros_type, token
        token = wire.end("MP", f"{SERVED}/status")
        assert token[11:13] == [HASHES["action_msgs/msg/GoalStatusArray"], ":1:,1:,:,:,,"], token
        assert wire.end("SS", f"{SERVED}/cancel_goal")[11] == HASHES["action_msgs/srv/CancelGoal"]

    def reached():
        """a goal is accepted, executed with feedback, and reached; its status tells so"""
        goal, answer = send(5)
        assert answer.accepted and answer.stamp.sec > 0, answer
        assert result(goal) == (SUCCEEDED, fibonacci(5))
        assert reported(goal, SUCCEEDED) == [ACCEPTED, EXECUTING, SUCCEEDED], seen
        heard = [decode(feedback.get(timeout=LIMIT).payload, "example_interfaces/msg/Fibonacci_FeedbackMessage") for _ in range(6)]
        assert all(bytes(f.goal_id.uuid) == bytes(goal.uuid) for f in heard)
        assert [list(f.sequence) for f in heard] == [fibonacci(n) for n in range(6)], heard
        assert result(goal) == (SUCCEEDED, fibonacci(5)), "a result is kept"

    def late_status():
        """who comes late gets the status of the goals"""
        late = queue.Queue()
        history = zenoh.ext.HistoryConfig(detect_late_publishers=True)
        subscriber = zenoh.ext.declare_advanced_subscriber(
            wire.session, wire.key("MP", f"{SERVED}/status"), lambda sample: late.put(sample), history=history
        )
        report = decode(late.get(timeout=LIMIT).payload, "action_msgs/msg/GoalStatusArray")
        assert [s.status for s in report.status_list] == [SUCCEEDED], report
        subscriber.undeclare()

    def refused():
        """a goal that the server does not want, and one that it has already, is not accepted"""
        goal, answer = send(-1)
        assert not answer.accepted
        assert result(goal) == (0, []), "status unknown"
        known, answer = send(0)
        assert answer.accepted and not send(0, known)[1].accepted
        assert result(known) == (SUCCEEDED, [0])

    def called_off():
        """a goal is called off, one that waits is not and goes on, and each kind of refusal has its code"""
        long, _ = send(1_000_000)
        waiting, answer = send(7)
        assert answer.accepted
        assert cancel(waiting) == (1, []), "ERROR_REJECTED: the server does not want to"
        assert reported(waiting, ACCEPTED) == [ACCEPTED]
        assert cancel(long) == (0, [bytes(long.uuid)])
        state, sequence = result(long)
        assert state == CANCELED and sequence == fibonacci(len(sequence) - 1)[: len(sequence)], (state, sequence)
        assert result(waiting) == (SUCCEEDED, fibonacci(7))
        assert reported(waiting, SUCCEEDED) == [ACCEPTED, EXECUTING, SUCCEEDED]
        assert cancel(long) == (3, []), "ERROR_GOAL_TERMINATED"
        assert cancel(uuid()) == (2, []), "ERROR_UNKNOWN_GOAL_ID"

    def malformed():
        """bytes that are no goal are refused with a reason, and the server lives on"""
        good = encode(T["example_interfaces/msg/Fibonacci_SendGoal_Request"](uuid(), 3))
        for part in ("send_goal", "get_result", "cancel_goal"):
            for bad in (b"\xff" * 9, b"\x00\x01\x00\x00", good[:12], b""):
                try:
                    answer = wire.call_raw(f"{SERVED}/{part}", bad)
                    raise AssertionError(f"{part} took {bad} and answered {answer}")
                except Refused as why:
                    assert "request" in str(why), why
        goal, answer = send(1)
        assert answer.accepted and result(goal) == (SUCCEEDED, [0, 1])

    class Foreign:
        """An action server of others on `elsewhere`, which the test plays."""

        def __init__(self):
            self.asked, self.held, self.sequence = queue.Queue(), [], 0
            head = f"@ros2_lv/0/{wire.session.info.zid()}/1"
            hashes = {part: wire.end(kind, f"{SERVED}/{part}")[11] for part, (kind, _) in PARTS.items()}
            liveliness = wire.session.liveliness()
            self.held.append(liveliness.declare_token(f"{head}/1/NN/%/%/foreign_server"))
            for number, (part, (kind, ros_type)) in enumerate(PARTS.items()):
                tail = f"{ros_type}/{hashes[part]}"
                if kind == "SS":
                    take = lambda query, part=part: self.asked.put((part, query))
                    self.held.append(wire.session.declare_queryable(f"0{ELSEWHERE}/{part}/{tail}", take, complete=True))
                else:
                    setattr(self, part, f"0{ELSEWHERE}/{part}/{tail}")
                name = f"{ELSEWHERE}/{part}".replace("/", "%")
                self.held.append(liveliness.declare_token(f"{head}/{number + 2}/{kind}/%/%/foreign_server/{name}/{tail}/::,10:,:,:,,"))

        def next(self, part):
            """The next request, which must be to `part`, and its content."""
            came, query = self.asked.get(timeout=LIMIT)
            assert came == part, came
            name = {"cancel_goal": "action_msgs/msg/CancelGoal", "send_goal": "example_interfaces/msg/Fibonacci_SendGoal"}
            return query, decode(query.payload, f"{name.get(part, 'example_interfaces/msg/Fibonacci_GetResult')}_Request")

        def answer(self, query, message):
            sequence, _, _ = struct.unpack_from("<qqB", bytes(query.attachment))
            data = message if isinstance(message, bytes) else encode(message)
            query.reply(query.key_expr, data, attachment=attachment(sequence, bytes(query.attachment)[17:]))
            query.drop()

        def feed(self, goal, numbers):
            self.sequence += 1
            message = T["example_interfaces/msg/Fibonacci_FeedbackMessage"](goal, numpy.array(numbers, dtype=numpy.int32))
            wire.session.put(self.feedback, encode(message), attachment=attachment(self.sequence, b"\x21" * 16))

    def client_of_ours():
        """a server of others is driven by a client of ours: feedback, reached, refused, called off, and answers that are none"""
        server = Foreign()
        told = wire.listen("/told")
        said = lambda: decode(told.get(timeout=LIMIT).payload, "std_msgs/msg/String").data
        number = [0]

        def put(topic, message):
            number[0] += 1
            wire.session.put(wire.key("MS", topic), encode(message), attachment=attachment(number[0], b"\x22" * 16))

        ask = lambda order: put("/ask", T["std_msgs/msg/Int32"](order))
        sent = lambda accepted: T["example_interfaces/msg/Fibonacci_SendGoal_Response"](accepted, T["builtin_interfaces/msg/Time"](1, 0))
        done = lambda state, numbers: T["example_interfaces/msg/Fibonacci_GetResult_Response"](state, numpy.array(numbers, dtype=numpy.int32))

        # The client must have heard of the server first; until then it says that nobody serves this.
        def ready():
            ask(3)
            try:
                came = server.asked.get(timeout=0.5)
            except queue.Empty:
                assert "unavailable" in said()
                return None
            return came

        part, query = wait_for("the client to know the server", ready)
        assert part == "send_goal"
        request = decode(query.payload, "example_interfaces/msg/Fibonacci_SendGoal_Request")
        assert request.order == 3
        server.answer(query, sent(True))
        query, asked = server.next("get_result")
        assert bytes(asked.goal_id.uuid) == bytes(request.goal_id.uuid)
        server.feed(uuid(), [9])  # another client's goal
        server.feed(request.goal_id, [0, 1])
        assert said() == "feedback [0, 1]"
        server.answer(query, done(SUCCEEDED, [0, 1, 1]))
        assert said() == "succeeded [0, 1, 1]"

        ask(4)
        query, _ = server.next("send_goal")
        server.answer(query, sent(False))
        assert said() == "rejected"

        ask(5)
        query, request = server.next("send_goal")
        server.answer(query, sent(True))
        result_query, _ = server.next("get_result")
        put("/call_off", T["std_msgs/msg/Empty"](0))
        query, asked = server.next("cancel_goal")
        assert bytes(asked.goal_info.goal_id.uuid) == bytes(request.goal_id.uuid)
        server.answer(query, T["action_msgs/msg/CancelGoal_Response"](0, [asked.goal_info]))
        server.answer(result_query, done(CANCELED, [0]))
        assert said() == "canceled [0]"

        ask(6)
        query, _ = server.next("send_goal")
        server.answer(query, b"\xff\xff")
        assert said().startswith("unavailable"), "an answer that cannot be read"
        ask(7)
        query, _ = server.next("send_goal")
        server.answer(query, sent(True))
        query, _ = server.next("get_result")
        query.reply_err(b"the motor is gone")
        query.drop()
        why = said()
        assert why.startswith("unavailable"), why
        for held in server.held:
            held.undeclare()

    def end():
        """the process ends"""
        wire.close()
        process.end()

    return [announced, reached, late_status, refused, called_off, malformed, client_of_ours, end]
