"""`python -m lifelong` is the command line."""

from lifelong.cli import main

if __name__ == "__main__":
    main()
