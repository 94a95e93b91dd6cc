# They need network namespaces and a firewall: scripts/test-nat has both and names the files.
collect_ignore_glob = ["test_*.py"]
