"""Apps: composition only. The web application, the ``hansa`` command line, and the demonstration league.

Everything flows in through the other rooms' doors; pages, commands and a closing summary flow out.
"""
