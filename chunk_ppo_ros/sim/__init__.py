"""Simulates ALOHA in MuJoCo or with kinematics alone (no OpenGL), and defines tasks and scripted demonstrations."""
