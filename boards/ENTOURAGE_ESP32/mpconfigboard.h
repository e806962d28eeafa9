#define MICROPY_HW_BOARD_NAME "Entourage node"
#define MICROPY_HW_MCU_NAME   "ESP32"

// sdkconfig has no Bluetooth controller
#define MICROPY_PY_BLUETOOTH  (0)
