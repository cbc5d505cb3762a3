# Writes files into the program as `const std::vector<std::string_view> NAME` of NAMESPACE, which HEADER declares:
# cmake "-DFILES=a.yaml;b.yaml" -DOUT=texts.cpp -DHEADER=plugin/crds.h -DNAMESPACE=mo::plugin -DNAME=kCrdTexts -P embed.cmake
set(text "#include \"${HEADER}\"\n\nnamespace ${NAMESPACE} {\n\nconst std::vector<std::string_view> ${NAME} = {\n")
foreach(file ${FILES})
  file(READ ${file} content)
  string(APPEND text "R\"embedded(${content})embedded\",\n")
endforeach()
string(APPEND text "};\n\n}  // namespace ${NAMESPACE}\n")
file(WRITE ${OUT} "${text}")
