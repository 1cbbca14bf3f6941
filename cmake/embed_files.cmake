# cmake -DOUT=FILE.cpp -DFILES=LIST -DNAME=NAME|NAME_WE -DHEADER=H -DTYPE=T -DFUNCTION=F -P embed_files.cmake: the files of
# LIST, by name, as the C++ function std::span<const T> F() that header H declares.
list(SORT FILES)
set(entries "")
foreach(file ${FILES})
  get_filename_component(name ${file} ${NAME})
  file(READ ${file} text)
  string(APPEND entries "    {\"${name}\", R\"file(${text})file\"},\n")
endforeach()
file(WRITE ${OUT} "#include \"${HEADER}\"\n\nnamespace rankfold {\n
std::span<const ${TYPE}> ${FUNCTION}() {
  static const std::initializer_list<${TYPE}> files = {\n${entries}  };
  return {files.begin(), files.size()};
}\n
}  // namespace rankfold\n")
