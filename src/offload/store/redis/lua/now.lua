-- with: clock spread quick base
return done({ '', now })
