find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(ICU REQUIRED COMPONENTS uc i18n)
find_package(Protobuf REQUIRED)
find_package(Boost REQUIRED COMPONENTS program_options)
find_package(xtensor REQUIRED)
find_package(xsimd REQUIRED)

# Plain -lopenblas may resolve to the pthread build, whose threads fight with OpenMP's: the OpenMP
# build is found and linked by its own folder.
find_path(OPENBLAS_OPENMP_INCLUDE cblas.h PATH_SUFFIXES openblas-openmp
          PATHS /usr/include/${CMAKE_LIBRARY_ARCHITECTURE} NO_DEFAULT_PATH)
find_library(OPENBLAS_OPENMP_LIBRARY openblas PATH_SUFFIXES openblas-openmp
             PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE} NO_DEFAULT_PATH)
if(NOT OPENBLAS_OPENMP_LIBRARY OR NOT OPENBLAS_OPENMP_INCLUDE)
  message(FATAL_ERROR "the OpenMP build of OpenBLAS was not found; "
                      "run scripts/install-dependencies (Debian: libopenblas-openmp-dev)")
endif()
get_filename_component(OPENBLAS_OPENMP_DIR ${OPENBLAS_OPENMP_LIBRARY} DIRECTORY)
add_library(rankfold_openblas INTERFACE)
add_library(rankfold::openblas ALIAS rankfold_openblas)
target_include_directories(rankfold_openblas SYSTEM INTERFACE ${OPENBLAS_OPENMP_INCLUDE})
target_link_libraries(rankfold_openblas INTERFACE ${OPENBLAS_OPENMP_LIBRARY})
# The same folder at run time, in the build tree and when installed.
set(CMAKE_BUILD_RPATH ${OPENBLAS_OPENMP_DIR})
set(CMAKE_INSTALL_RPATH ${OPENBLAS_OPENMP_DIR})

add_library(rankfold_xtensor INTERFACE)
add_library(rankfold::xtensor ALIAS rankfold_xtensor)
get_target_property(xtensor_includes xtensor INTERFACE_INCLUDE_DIRECTORIES)
target_include_directories(rankfold_xtensor SYSTEM INTERFACE ${xtensor_includes})
target_link_libraries(rankfold_xtensor INTERFACE rankfold::openblas)

# oneDNN, for products in bfloat16; without it a stub says that it is missing. Its own package file is
# left aside: Debian's asks for OpenCL's headers, which nothing here needs.
find_path(ONEDNN_INCLUDE dnnl.hpp)
find_library(ONEDNN_LIBRARY dnnl)
if(ONEDNN_LIBRARY AND ONEDNN_INCLUDE)
  add_library(rankfold_onednn INTERFACE)
  add_library(rankfold::onednn ALIAS rankfold_onednn)
  target_include_directories(rankfold_onednn SYSTEM INTERFACE ${ONEDNN_INCLUDE})
  target_link_libraries(rankfold_onednn INTERFACE ${ONEDNN_LIBRARY})
endif()

add_library(rankfold_xsimd INTERFACE)
add_library(rankfold::xsimd ALIAS rankfold_xsimd)
get_target_property(xsimd_includes xsimd INTERFACE_INCLUDE_DIRECTORIES)
target_include_directories(rankfold_xsimd SYSTEM INTERFACE ${xsimd_includes})

# Python's regular expressions (core/base/pattern.h).
find_path(PCRE2_INCLUDE pcre2.h)
find_library(PCRE2_LIBRARY pcre2-8)
if(NOT PCRE2_LIBRARY OR NOT PCRE2_INCLUDE)
  message(FATAL_ERROR "PCRE2 was not found; run scripts/install-dependencies (Debian: libpcre2-dev)")
endif()
add_library(rankfold_pcre2 INTERFACE)
add_library(rankfold::pcre2 ALIAS rankfold_pcre2)
target_include_directories(rankfold_pcre2 SYSTEM INTERFACE ${PCRE2_INCLUDE})
target_link_libraries(rankfold_pcre2 INTERFACE ${PCRE2_LIBRARY})

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # With precompiled headers ccache finds what it has only so.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE_PROGRAM})
endif()

# Apache Arrow, for Parquet; without it a stub says that it is missing. Where none is installed, the
# libraries and headers inside PyPI's pyarrow wheel serve, which scripts/fetch arrow puts into the
# user's cache. RANKFOLD_ARROW names another such folder (include, lib), or is OFF.
set(RANKFOLD_ARROW "" CACHE STRING "Folder with Arrow's include and lib, OFF for none; empty: found")
set(arrow_cache "$ENV{XDG_CACHE_HOME}")
if(NOT arrow_cache)
  set(arrow_cache "$ENV{HOME}/.cache")
endif()
if(NOT "${RANKFOLD_ARROW}" STREQUAL "OFF")
  if(RANKFOLD_ARROW)
    set(arrow_folder ${RANKFOLD_ARROW})
  else()
    find_package(Arrow CONFIG QUIET)
    find_package(Parquet CONFIG QUIET)
    set(arrow_folder ${arrow_cache}/rankfold/arrow-26.0.1)
  endif()
  if(TARGET Arrow::arrow_shared AND TARGET Parquet::parquet_shared)
    add_library(rankfold_arrow INTERFACE)
    add_library(rankfold::arrow ALIAS rankfold_arrow)
    target_link_libraries(rankfold_arrow INTERFACE Parquet::parquet_shared Arrow::arrow_shared)
  elseif(EXISTS ${arrow_folder}/lib/libparquet.so AND EXISTS ${arrow_folder}/include/parquet)
    add_library(rankfold_arrow INTERFACE)
    add_library(rankfold::arrow ALIAS rankfold_arrow)
    target_include_directories(rankfold_arrow SYSTEM INTERFACE ${arrow_folder}/include)
    target_link_libraries(rankfold_arrow INTERFACE ${arrow_folder}/lib/libparquet.so
                                                   ${arrow_folder}/lib/libarrow.so)
    set(RANKFOLD_ARROW_LIBRARIES ${arrow_folder}/lib)  # to be installed along
  elseif(RANKFOLD_ARROW)
    message(FATAL_ERROR "RANKFOLD_ARROW is ${RANKFOLD_ARROW}; expected a folder with "
                        "include/parquet and lib/libparquet.so, or OFF")
  endif()
endif()
