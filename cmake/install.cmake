# What a prefix holds: the program with what it loads, the headers that a method's author includes, the
# libraries and headers of programs that count, reconstruct and fit themselves, and a package.
# rankfold::plugin is what a plug-in links; the program that loads it has the definitions.
include(CMakePackageConfigHelpers)
set(public_headers
    core/adapter/adapter.h core/adapter/method.h core/adapter/method_settings.h core/adapter/rank.h
    core/adapter/registry.h core/adapter/wrapper.h core/base/error.h core/base/random.h core/device/buffer.h
    core/device/device.h core/device/device_operations.h core/device/layer_operations.h core/device/row_kernels.h
    core/device/training_operations.h core/device/views.h core/error.h
    core/linalg/linear_algebra.h core/network/network.h core/network/stack.h core/network/start.h core/plugin.h
    decompositions/common.h)
add_library(rankfold_plugin INTERFACE)
add_library(rankfold::plugin ALIAS rankfold_plugin)
set_target_properties(rankfold_plugin PROPERTIES EXPORT_NAME plugin)
target_sources(rankfold_plugin INTERFACE FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}
                                                          FILES ${public_headers})
target_compile_features(rankfold_plugin INTERFACE cxx_std_20)
target_link_libraries(rankfold_plugin INTERFACE fmt::fmt)
# A function of the plug-in that is named like one of the program is its own.
target_link_options(rankfold_plugin INTERFACE LINKER:-Bsymbolic-functions)

# rankfold::library is what a program of its own links (find_package(rankfold COMPONENTS library)).
set(library_headers
    core/adapter/rank_budget.h core/base/files.h core/base/mapped_pages.h core/base/safetensors.h
    core/contract/check_method.h core/fit/array_source.h core/fit/fit.h core/fit/input_file.h core/fit/input_metric.h
    core/fit/numpy_file.h core/fit/update_file.h core/fit/update_source.h core/network/factor_copies.h
    core/reach/degrees_of_freedom.h core/reach/tangent_space.h core/xtensor_views.h decompositions/registry.h)
add_library(rankfold_programs INTERFACE)
target_sources(rankfold_programs INTERFACE FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}
                                                            FILES ${public_headers} ${library_headers})
target_compile_features(rankfold_programs INTERFACE cxx_std_20)
target_link_libraries(rankfold_programs INTERFACE rankfold::decompositions rankfold::fit rankfold::core xtensor)
if(RANKFOLD_SANITIZE)
  target_compile_options(rankfold_programs INTERFACE -fsanitize=${RANKFOLD_SANITIZE})
  target_link_options(rankfold_programs INTERFACE -fsanitize=${RANKFOLD_SANITIZE})
endif()
set_target_properties(rankfold_programs PROPERTIES EXPORT_NAME library)
# With what they link, which has no package of its own.
set(library_targets rankfold_programs)
foreach(part decompositions fit core openblas xtensor xsimd pcre2 onednn)
  if(TARGET rankfold_${part})
    set_target_properties(rankfold_${part} PROPERTIES EXPORT_NAME ${part})
    list(APPEND library_targets rankfold_${part})
  endif()
endforeach()
install(TARGETS ${library_targets} EXPORT rankfold_library
        ARCHIVE DESTINATION lib
        FILE_SET HEADERS DESTINATION include/rankfold)

install(TARGETS rankfold rankfold_plugin EXPORT rankfold
        RUNTIME DESTINATION bin
        FILE_SET HEADERS DESTINATION include/rankfold)
set(package lib/cmake/rankfold)
install(EXPORT rankfold NAMESPACE rankfold:: FILE rankfoldTargets.cmake DESTINATION ${package})
install(EXPORT rankfold_library NAMESPACE rankfold:: FILE rankfoldLibrary.cmake DESTINATION ${package})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/rankfoldConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/rankfoldConfig.cmake
                              INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/rankfoldConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/rankfoldConfig.cmake
              ${PROJECT_BINARY_DIR}/rankfoldConfigVersion.cmake
        DESTINATION ${package})

# What reads and writes Parquet, with the Arrow libraries that no package brings.
if(TARGET rankfold_parquet)
  install(TARGETS rankfold_parquet LIBRARY DESTINATION lib/rankfold)
  if(RANKFOLD_ARROW_LIBRARIES)
    file(GLOB arrow_libraries ${RANKFOLD_ARROW_LIBRARIES}/lib*.so.* ${RANKFOLD_ARROW_LIBRARIES}/*.txt)
    install(FILES ${arrow_libraries} DESTINATION lib/rankfold)
  endif()
endif()
