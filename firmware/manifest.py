# What an image has of the node, frozen: code that runs from flash takes none of the heap.
#
# A file on the board's file system goes before a frozen one, so that `entourage board deploy` can bring a later
# version. boot.py and main.py are not here: frozen, they would be run
# before anybody could take them away.
package("mip4", opt=1)
package("mobile_node", opt=1)
package("runtime", opt=1)
package("port_esp32", opt=1)
