"""Where in a picture: rows of attention, and outlined regions on the patch grid."""
