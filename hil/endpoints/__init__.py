"""The pretend devices' sockets: registers and objects in front of the plant, with encoders of their own."""
