"""The Napster index server: who is online, what they share, and who may connect to whom.

`server` opens the port and joins the rooms; `visitor` is a connection before its login, `member` after it;
`sharing`, `searching`, `downloads`, `talk` and `profile` answer what members say. `index/` knows the files,
`people` who is there, `accounts` whose nick is whose, `limits` how much is too much, `denylist` and `audit`
what is taken down. `metaserver` tells old programs where all that is.
"""
