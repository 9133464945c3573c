"""U-Net for electron microscopy: fine-tune on a few painted labels, segment the whole volume."""

__version__ = "0.1.0"
