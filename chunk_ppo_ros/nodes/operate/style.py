"""How the parts of the screen are laid out and stand out."""

from __future__ import annotations

STYLE = """
/* The screen must read well without colors: what counts is bold, in capitals, or in reverse. */
Screen { layout: vertical; }
#place { height: 1; text-style: bold; }
#headline { height: auto; min-height: 6; padding: 1 2 0 2; text-style: bold; }
#headline.tall { padding: 2 4; }
#headline Static { width: 100%; height: auto; background: transparent; }
#waits { min-height: 2; max-height: 3; }
#headline.wait { background: $warning; color: black; }
#headline.run { background: $success-darken-2; color: white; }
#headline.lost { background: $primary-darken-2; color: white; }
#headline.stop { background: $error; color: white; }
#columns, #overlay { height: 1fr; }
#first, #second, #third { width: 1fr; height: 100%; padding: 0 1; scrollbar-size-vertical: 1; }
.heading { text-style: bold underline; height: 1; }
.panel { height: auto; margin: 0 0 0 0; }
#overlay { display: none; padding: 1 2; }
#overlay_text { height: auto; }
#answer { height: 1; text-style: bold; padding: 0 0 0 1; }
#warnings { height: auto; padding: 0 0 0 1; }
#keys { height: auto; text-style: reverse; padding: 0 1; }
"""
"""A style sheet of textual."""
