"""Files and threads.

A torrent is one long run of bytes. `layout` knows in which files a part of it lies, `storage` reads and
writes there, `pool` decides whether that happens here on the loop or in a thread, `resume` keeps what
survives a restart. Nothing above this floor touches a file of a torrent.
"""
