# `cmake --install`: the program, its man page, and what a Linux host that runs systemd takes. The
# units name the folders of this configuration, so configure with the final -DCMAKE_INSTALL_PREFIX
# (with /usr, the configuration is looked for in /etc).
set(deploy "${PROJECT_SOURCE_DIR}/tools/deploy")

configure_file(
    "${deploy}/systemd/dind-proxy.service.in" "${PROJECT_BINARY_DIR}/dind-proxy.service" @ONLY
)
# Not under CMAKE_INSTALL_LIBDIR, which may be an architecture's.
install(
    FILES "${PROJECT_BINARY_DIR}/dind-proxy.service" "${deploy}/systemd/dind-proxy.socket"
    DESTINATION lib/systemd/system
)
install(
    FILES "${deploy}/systemd/dind-proxy.sysusers"
    DESTINATION lib/sysusers.d
    RENAME dind-proxy.conf
)
install(FILES "${deploy}/man/dind-proxy.8" DESTINATION "${CMAKE_INSTALL_MANDIR}/man8")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" "${PROJECT_SOURCE_DIR}/README.md"
        DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(FILES "${deploy}/systemd/dind-proxy.env" "${deploy}/systemd/tls.conf"
        DESTINATION "${CMAKE_INSTALL_DOCDIR}/examples")
