"""What a pull request says and holds, as data and text. Pure: no forge, no Git."""
