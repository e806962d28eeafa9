#define MICROPY_HW_BOARD_NAME       "Entourage node"
#define MICROPY_HW_MCU_NAME         "ESP32-C3"

// The REPL on the UART too: the USB port may be a device's
#define MICROPY_HW_ENABLE_UART_REPL (1)

// sdkconfig has no Bluetooth controller
#define MICROPY_PY_BLUETOOTH        (0)

// As MicroPython's own board for this chip has it: there are no pins for one, and one core has other things to do
#define MICROPY_HW_ENABLE_SDCARD    (0)
#define MICROPY_PY_MACHINE_I2S      (0)
