"""Reads episodes from the HDF5 files of ALOHA's recorders. Each file is one episode.

`files.py` finds the files, `opening.py` opens one and says how it is damaged, `datasets.py` checks and reads arrays,
`labels.py` reads the prompt, the outcome and the rate, `recorders.py` recognizes the recorder and asks what only a
person knows, `cameras.py` finds the cameras, `images.py` reads their images, `contents.py` names what is not used, and
`reader.py` joins them to an `EpisodeReader`.
"""
