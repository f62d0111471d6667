"""A world of drawn things, about which everything is known.

``categories`` holds the things, each a function from an instance (``Look``) and a posture (``Pose``) to a ``Figure`` of
named parts and points. ``scenes`` and ``films`` put them into pictures, ``stencil`` says which pixel shows what, and
``painting`` gives the colours. Everything is a pure function of the seed: random numbers come from PCG64 streams of
their own for every instance and picture, sines are rounded before use, and nothing that decides a pixel is left to a
library that may sum in another order.
"""
