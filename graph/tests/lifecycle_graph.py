#!/usr/bin/env python3
"""Writes lifecycle_graph.txt: the states and transitions of rcl_lifecycle's own state machine, as rclpy shows it.

usage, with ros-rclpy[fastrtps] 9.1.2 and ros-lifecycle-msgs installed: lifecycle_graph.py > lifecycle_graph.txt
"""
import rclpy
from rclpy.lifecycle import LifecycleNode

rclpy.init()
machine = LifecycleNode("oracle")._state_machine
print("# From rcl_lifecycle by way of rclpy 9.1.2 (lifecycle_graph.py): states, then transitions (id label, start id label, goal id label)")
for number, label in machine.available_states:
    print(number, label)
for transition in machine.transition_graph:
    print(*transition)
rclpy.shutdown()
