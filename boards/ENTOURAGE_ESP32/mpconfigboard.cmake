set(IDF_TARGET esp32)

# No sdkconfig.ble: Bluetooth would take flash that an update needs, and air from the one radio.
set(SDKCONFIG_DEFAULTS
    boards/sdkconfig.base
    ${SDKCONFIG_IDF_VERSION_SPECIFIC}
    boards/sdkconfig.240mhz
)
include(${MICROPY_BOARD_DIR}/../common/image.cmake)
