# SPDX-License-Identifier: GPL-2.0-or-later
#
# For sphinx-build; tools/testing/docs.sh makes the files *.inc first.

project = 'RNBD'
author = 'the RNBD developers'
copyright = author

extensions = []
html_theme = 'alabaster'
html_show_copyright = False

# What is quoted is to be typed, or read, as it is.
smartquotes = False

# Pages include them; ABI files are read by way of abi.inc.
exclude_patterns = ['*.inc', 'ABI/**']

# Types of the kernel, which the pages do not describe.
nitpick_ignore_regex = [('c:identifier', '.*')]
