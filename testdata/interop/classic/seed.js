// The first script of scuttlebot's README: it publishes a message and reads it
// back in three ways.
//
//   HOME=… node seed.js
'use strict'
const pull = require('pull-stream')
require('ssb-client')(function (err, sbot) {
  if (err) throw err
  // publish a message
  sbot.publish({ type: 'post', text: 'My First Post!' }, function (err, msg) {
    if (err) throw err
    console.log(JSON.stringify(['publish', msg.key]))
    // stream all messages in all feeds, ordered by publish time
    pull(sbot.createFeedStream(), pull.collect(function (err, msgs) {
      if (err) throw err
      console.log(JSON.stringify(['createFeedStream', msgs[msgs.length - 1].key]))
      // stream all messages in all feeds, ordered by receive time
      pull(sbot.createLogStream(), pull.collect(function (err, msgs) {
        if (err) throw err
        console.log(JSON.stringify(['createLogStream', msgs[msgs.length - 1].key]))
        // stream all messages by one feed, ordered by sequence number
        pull(sbot.createHistoryStream({ id: msg.value.author }), pull.collect(function (err, msgs) {
          if (err) throw err
          console.log(JSON.stringify(['createHistoryStream', msgs[msgs.length - 1].key]))
          sbot.close(() => process.exit(0))
          setTimeout(() => process.exit(0), 1000)
        }))
      }))
    }))
  })
})
