"""`python -m p2pswarm` is the `p2pswarm` command."""

from p2pswarm.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
