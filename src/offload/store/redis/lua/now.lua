-- with: base
return M.done({ '', now })
