"""The distributed hash table (BEP 5, 32, 42, 43): who has what, known by everybody together.

The door is `dht.Dht`, one for each node of ours, in both networks (IPv4 and IPv6) at once. It is handed
datagrams and sends datagrams; clock, dice and timers are given to it.

```python
class Dht:
    def got(self, data, address): ...            # a datagram
    async def peers(self, info_hash, found): ... # one lookup -> LookupCost
    async def announce(self, info_hash, port, found, *, seed, implied_port): ...  # -> how many took it
    def ping(self, address): ...                 # somebody named it
    def status(self): ...
    def saved(self): ...                         # -> SavedTable, for the next start
    def close(self): ...

    # What other methods than those of BEP 5 are built of (items, samples)
    def route(self, method, handler): ...        # handler(query, address) -> Reply | Error
    async def lookup(self, query, heard): ...    # asks nearer and nearer to its target
                                                 # or info_hash; heard(contact, reply) -> Found
    async def tell(self, holders, query): ...    # the query with each one's token -> [Reply | Error | None]
    async def ask(self, address, query): ...     # one query -> Reply | Error | None, when there is no answer
    def nearest(self, query, address): ...       # -> a Reply with `nodes`, `nodes6` and `token`
    tokens: Tokens                               # valid(token, address)
    store: PeerStore                             # what others announced to us
```
"""
