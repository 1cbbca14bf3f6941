# Flags that every target of the project is compiled with.
add_library(rankfold_flags INTERFACE)
target_compile_options(rankfold_flags INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wno-sign-conversion)
if(RANKFOLD_GROUPS)
  # Of names of other files of a group nothing is said.
  target_compile_options(rankfold_flags INTERFACE -Wshadow=local -Wno-subobject-linkage)
else()
  target_compile_options(rankfold_flags INTERFACE -Wshadow)
endif()
# GCC 12 sees overlaps and overflows in std::string operations that are none (its bugs 105651 and 105329).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(rankfold_flags INTERFACE -Wno-restrict -Wno-stringop-overflow -Wno-array-bounds)
endif()
if(RANKFOLD_WARNINGS_AS_ERRORS)
  target_compile_options(rankfold_flags INTERFACE -Werror)
endif()
if(RANKFOLD_SANITIZE)
  target_compile_options(rankfold_flags INTERFACE -fsanitize=${RANKFOLD_SANITIZE}
                         -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(rankfold_flags INTERFACE -fsanitize=${RANKFOLD_SANITIZE})
  if(RANKFOLD_SANITIZE MATCHES undefined)
    # Checks of every pointer, whose errors the address sanitizer sees or the machine traps: a third of the
    # time to compile.
    target_compile_options(rankfold_flags INTERFACE -fno-sanitize=null,alignment,vptr,object-size)
  endif()
endif()

# A faster linker where one is installed: the tests are 13 programs.
include(CheckLinkerFlag)
foreach(linker mold lld)
  check_linker_flag(CXX -fuse-ld=${linker} RANKFOLD_LINKS_BY_${linker})
  if(RANKFOLD_LINKS_BY_${linker})
    target_link_options(rankfold_flags INTERFACE -fuse-ld=${linker})
    break()
  endif()
endforeach()

# rankfold_headers(NAME [OPTIONS ...] [LIBRARIES ...] [HEADERS ...]): headers that are parsed once, for targets that
# REUSE_FROM rankfold_NAME. Nothing of the project is among them: a header that changes costs only those who include it.
function(rankfold_headers name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "OPTIONS;LIBRARIES;HEADERS")
  set(source ${PROJECT_BINARY_DIR}/generated/${name}.cpp)
  file(CONFIGURE OUTPUT ${source} CONTENT "")
  add_library(rankfold_${name} OBJECT ${source})
  target_link_libraries(rankfold_${name} PRIVATE fmt::fmt OpenMP::OpenMP_CXX rankfold_flags ${arg_LIBRARIES})
  target_compile_options(rankfold_${name} PRIVATE ${arg_OPTIONS})
  target_precompile_headers(rankfold_${name} PRIVATE
    <algorithm> <array> <cmath> <cstddef> <cstdint> <filesystem> <functional> <map> <memory> <numeric> <optional> <set>
    <span> <string> <string_view> <utility> <vector> <fmt/core.h> ${arg_HEADERS})
endfunction()
rankfold_headers(library_headers)
if(RANKFOLD_SANITIZE)
  rankfold_headers(unoptimised_headers OPTIONS -O0)
endif()

# rankfold_group(TARGET ALONE): compiles the files of TARGET several at a time (RANKFOLD_GROUPS), but for those that match
# ALONE: what the headers of a room cost is paid once a group.
function(rankfold_group target alone)
  if(NOT RANKFOLD_GROUPS)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
  if(alone)
    get_target_property(sources ${target} SOURCES)
    list(FILTER sources INCLUDE REGEX "${alone}")
    set_source_files_properties(${sources} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
endfunction()

# rankfold_library(FOLDER [COMPUTES | PRINTS] [EXCEPT REGEX] [ALONE REGEX] [PUBLIC ...] [PRIVATE ...]): every .cpp of FOLDER
# and of the rooms in it, but for those that match EXCEPT, as rankfold::<last part>; those that match ALONE each by itself.
# What optimisation costs: -O3 half of the time to compile, and sanitized code that is optimised nearly twice that of code
# that is not. So only what COMPUTES is optimised in sanitized builds, and what only PRINTS hardly in others.
function(rankfold_library folder)
  cmake_parse_arguments(PARSE_ARGV 1 arg "COMPUTES;PRINTS" "EXCEPT;ALONE" "PUBLIC;PRIVATE")
  get_filename_component(name ${folder} NAME)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.cpp)
  if(arg_EXCEPT)
    list(FILTER sources EXCLUDE REGEX "/${folder}/(${arg_EXCEPT})/")
  endif()
  add_library(rankfold_${name} STATIC ${sources})
  add_library(rankfold::${name} ALIAS rankfold_${name})
  rankfold_group(rankfold_${name} "${arg_ALONE}")
  target_include_directories(rankfold_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
  target_link_libraries(rankfold_${name} PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE} $<BUILD_INTERFACE:rankfold_flags>)
  if(RANKFOLD_SANITIZE AND NOT arg_COMPUTES)
    target_compile_options(rankfold_${name} PRIVATE -O0)
    target_precompile_headers(rankfold_${name} REUSE_FROM rankfold_unoptimised_headers)
  else()
    target_precompile_headers(rankfold_${name} REUSE_FROM rankfold_library_headers)
    if(arg_PRINTS)
      target_compile_options(rankfold_${name} PRIVATE $<$<CONFIG:Release>:-O1>)
    endif()
  endif()
endfunction()

# rankfold_loaded_library(NAME FOLDER LIBRARY...): every .cpp of FOLDER as librankfold_NAME.so beside the
# program, which loads it when it is needed.
function(rankfold_loaded_library name folder)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.cpp)
  add_library(rankfold_${name} MODULE ${sources})
  target_include_directories(rankfold_${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(rankfold_${name} PRIVATE ${ARGN} rankfold_flags)
  set_target_properties(rankfold_${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}
                                                    INSTALL_RPATH $ORIGIN)
endfunction()

# rankfold_protobuf(NAME FILE.proto): adds the generated messages to rankfold_NAME.
function(rankfold_protobuf name proto)
  set(protobuf_generate_out ${PROJECT_BINARY_DIR}/generated)
  file(MAKE_DIRECTORY ${protobuf_generate_out})
  add_library(rankfold_${name}_messages OBJECT ${PROJECT_SOURCE_DIR}/${proto})
  target_link_libraries(rankfold_${name}_messages PUBLIC protobuf::libprotobuf)
  protobuf_generate(TARGET rankfold_${name}_messages LANGUAGE cpp
                    IMPORT_DIRS ${PROJECT_SOURCE_DIR} PROTOC_OUT_DIR ${protobuf_generate_out})
  target_include_directories(rankfold_${name}_messages SYSTEM PUBLIC ${protobuf_generate_out})
  target_sources(rankfold_${name} PRIVATE $<TARGET_OBJECTS:rankfold_${name}_messages>)
  target_include_directories(rankfold_${name} SYSTEM PRIVATE ${protobuf_generate_out})
  add_dependencies(rankfold_${name} rankfold_${name}_messages)
endfunction()

# Plans, and with them the last bits, shall not depend on what this machine measures today. Threads that
# wait for each other's tiny parts take a busy machine minutes: tests of several threads ask for them, and they
# sleep while they wait.
set(rankfold_test_environment RANKFOLD_RATES=nominal OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive)
if(RANKFOLD_SANITIZE)
  # Every method, but not on every stack: sanitizers look at its code, the numbers are looked at without them.
  list(APPEND rankfold_test_environment RANKFOLD_CONTRACT=one-case)
endif()

# rankfold_test(ROOM [PARTS N] [ALONE REGEX]): one test program from tests/ROOM/*.cpp; it may use every library. Its tests run as N
# entries of CTest, so that several processors share them.
function(rankfold_test room)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "PARTS;ALONE" "")
  if(NOT TARGET rankfold_test_headers)
    find_package(GTest REQUIRED)
    rankfold_headers(test_headers OPTIONS -O0 LIBRARIES GTest::gmock HEADERS <fstream> <gmock/gmock.h> <gtest/gtest.h>)
  endif()
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/${room}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/tests/commands/plugins/")
  if(NOT sources)
    return()
  endif()
  add_executable(test_${room} ${sources})
  rankfold_group(test_${room} "${arg_ALONE}")
  set(library ${room})
  if(room STREQUAL "contract")
    set(library decompositions)
  endif()
  target_link_libraries(test_${room} PRIVATE rankfold::${library} rankfold_flags GTest::gmock
                                             GTest::gtest_main)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/source_paths.h.in
                 ${PROJECT_BINARY_DIR}/generated/source_paths.h @ONLY)
  target_include_directories(test_${room} PRIVATE ${PROJECT_SOURCE_DIR}/tests
                                                  ${PROJECT_BINARY_DIR}/generated)
  # The libraries do the work: optimising the tests themselves costs more than it saves.
  target_compile_options(test_${room} PRIVATE -O0)
  target_precompile_headers(test_${room} REUSE_FROM rankfold_test_headers)
  if(NOT arg_PARTS)
    set(arg_PARTS 1)
  endif()
  foreach(part RANGE 1 ${arg_PARTS})
    set(name ${room})
    if(arg_PARTS GREATER 1)
      set(name ${room}-${part})
    endif()
    math(EXPR index "${part} - 1")
    add_test(NAME ${name} COMMAND test_${room})
    set_tests_properties(${name} PROPERTIES ENVIRONMENT
      "${rankfold_test_environment};GTEST_TOTAL_SHARDS=${arg_PARTS};GTEST_SHARD_INDEX=${index}")
  endforeach()
endfunction()

# rankfold_test_plugin(NAME SOURCE): NAME.so beside the program, for test_commands.
function(rankfold_test_plugin name source)
  add_library(${name} MODULE ${source})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE rankfold::plugin rankfold_flags)
  set_target_properties(${name} PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
  add_dependencies(test_commands rankfold ${name})
endfunction()
