"""The forges that hold pull requests: one small module per forge behind one port."""
