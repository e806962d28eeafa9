set(IDF_TARGET esp32c3)

# No sdkconfig.ble: Bluetooth would take flash that an update needs, and air from the one radio.
set(SDKCONFIG_DEFAULTS
    boards/sdkconfig.base
    ${SDKCONFIG_IDF_VERSION_SPECIFIC}
)
include(${MICROPY_BOARD_DIR}/../common/image.cmake)
