"""`entourage attach`: this machine as the device on a node's serial line."""
