#define MICROPY_HW_BOARD_NAME       "Entourage node"
#define MICROPY_HW_MCU_NAME         "ESP32-S3"

// The REPL on the UART too: the USB port may be a device's
#define MICROPY_HW_ENABLE_UART_REPL (1)

// sdkconfig has no Bluetooth controller
#define MICROPY_PY_BLUETOOTH        (0)
