"""The simulated ALOHA: MuJoCo, a kinematic stand-in without OpenGL, tasks and scripted demonstrations."""
